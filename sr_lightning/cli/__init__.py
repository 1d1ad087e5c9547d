"""The commands: parse, refuse, then hand over to the engine. Nothing heavy is imported before that."""
