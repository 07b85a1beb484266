"""The tests of layerindex."""
