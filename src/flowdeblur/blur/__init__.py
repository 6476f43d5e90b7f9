"""How blur is formed (Section III of the paper): exposure, light, degradation, kernels, flow."""
