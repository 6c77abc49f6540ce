"""The backpropagation of a trained network, laid open: in evaluation mode, in float64, of the data cost alone."""
