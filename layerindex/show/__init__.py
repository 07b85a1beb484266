"""`layerindex show`: explains an id, a name, a path or a mount option."""
