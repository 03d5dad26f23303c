"""Makes the moto server behave more like AWS.

`fixes` are moto's bugs put right: they are always on. `strict` are rules that AWS enforces and moto does not. Every
rule is a small function around a function of moto, has a name and cites AWS's own documentation; see `rules`.
"""
