"""How much risk is allowed this hour: rules over stored facts, and a language model that can only say less."""
