"""What the pages say, tried: their commands are run, and every command that they name is there."""
