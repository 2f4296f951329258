"""The course as a small website: executed lessons that need neither kernel, server nor network."""
