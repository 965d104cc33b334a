;; Exports the interface with nothing in it.
;; expect: bad component: the plugin `hostile` can't be loaded: instance export `uptime:notifier/notifier@0.1.0` does not have export `describe`

(component
  (instance (export "uptime:notifier/notifier@0.1.0")))
