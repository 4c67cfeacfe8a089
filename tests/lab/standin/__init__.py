"""The stand-in appliance: what runs inside a lab node, and the operator's ``ksctl``.

Copied out of the tree as the package ``standin``; standard library only, relative imports only.
"""
