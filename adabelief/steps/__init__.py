"""How a step is run over many parameters: their views, the ways over them, and the kernels. All private."""
