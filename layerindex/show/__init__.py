"""`layerindex show`: what an id, a name, a path or a mount option means, from every end of the chain."""
