SELECT held_below($1)
