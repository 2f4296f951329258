"""What Newton and NaturalGradient share: objective, directions, globalisation, records."""
