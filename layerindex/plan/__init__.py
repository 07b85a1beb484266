"""What can be freed: steps in the order of safety, the commands of the engine, and a script that checks before each."""
