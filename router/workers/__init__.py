"""Several worker processes on one machine: who starts them, what they tell each other, when they end."""
