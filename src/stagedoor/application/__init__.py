"""What is wrapped: which application this is (:mod:`.identity`), and what lies inside of it (:mod:`.layers`)."""
