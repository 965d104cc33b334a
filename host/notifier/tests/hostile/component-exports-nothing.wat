;; Exports nothing.
;; expect: bad component: the plugin `hostile` can't be loaded: it does not export `uptime:notifier/notifier`

(component)
