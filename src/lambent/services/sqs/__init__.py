"""The SQS API over the queue engine: names, attributes and words are SQS's, what happens to messages is the engine's.

A queue's settings are a document; its messages are in the engine under a name made of account, region and name.
"""
