"""The simulated provider in the dialect of AWS Bedrock: Converse, whole and as a stream of binary frames."""
