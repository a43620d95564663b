"""The reading room: a page on which a physician sees studies move, corrects them, scores them and signs them.

`myoperf.web.app` answers a browser, `myoperf.web.worker` analyses what it was given, and both keep what they have in
`myoperf.web.database` and `myoperf.web.blobs`. Needs the extra ``web``.
"""
