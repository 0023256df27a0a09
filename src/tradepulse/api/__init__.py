"""The API process. ``create_app`` builds it from the ports it is handed; importing it starts nothing."""
