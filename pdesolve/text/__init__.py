"""Problems as text: the YAML document, its formulas, the equations and values they give, and the way back to text."""
