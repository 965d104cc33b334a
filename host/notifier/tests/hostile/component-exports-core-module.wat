;; Exports a module in place of the interface.
;; expect: bad component: the plugin `hostile` can't be loaded: instance export `uptime:notifier/notifier@0.1.0` does not have export `describe`

(component
  (core module (export "uptime:notifier/notifier@0.1.0")))
