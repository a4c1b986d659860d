"""`make bench`: the product's rates against a floor measured in the same run, on the same database server.

Absolute numbers say more about the machine than about the code, so what is printed and judged are
ratios, round trips and whether anything was wrong.
"""
