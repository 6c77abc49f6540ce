"""Backward of sequences with masks, against central differences."""

import numpy as np

from core.gradcheck import STEP


def derivative_error(workspace, theta, gradient, x, mask):
    """The largest error, relative where the derivative is large, along five random directions of weights and inputs
    together, of the cost sum(r y) with a random r."""
    random = np.random.default_rng(1)
    r = random.normal(size=workspace.forward(x, mask).shape)
    dx = workspace.backward(r).copy()
    claimed_gradient, start = gradient.copy(), theta.copy()
    errors = []
    for _ in range(5):
        u, v = random.normal(size=theta.shape), random.normal(size=x.shape)
        sides = []
        for h in (STEP, -STEP):
            theta[:] = start + h * u
            sides.append(np.sum(r * workspace.forward(x + h * v, mask)))
        claimed = claimed_gradient @ u + np.sum(dx * v)
        errors.append(abs((sides[0] - sides[1]) / (2 * STEP) - claimed) / max(1, abs(claimed)))
    return max(errors)
