"""One router per noun. Each reads through ``Services`` and answers with a model."""
