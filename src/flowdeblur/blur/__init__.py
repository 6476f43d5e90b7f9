"""How blur is formed (Section III of the paper): exposure, light, kernels, flow."""
