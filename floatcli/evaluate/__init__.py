"""How good a set of weights is: on drawn faces and synthetic speech, and on anyone's prepared clips."""
