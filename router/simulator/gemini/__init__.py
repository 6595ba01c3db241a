"""The simulated provider in Google's dialect: generateContent, whole and streamed, and embeddings."""
