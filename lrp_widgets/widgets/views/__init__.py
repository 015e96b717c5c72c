"""What a person looks at: a …View shows, and owns nothing."""
