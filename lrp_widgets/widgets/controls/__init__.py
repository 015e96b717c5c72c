"""What a person moves: …Picker chooses, …Editor edits a frozen value, …Pad takes what is drawn or dropped."""
