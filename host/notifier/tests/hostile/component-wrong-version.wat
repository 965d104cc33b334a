;; Exports a version that is not out yet.
;; expect: bad component: the plugin `hostile` can't be loaded: it is built for version 0.9.0 of the interface, and this program speaks 0.1.0

(component
  (instance (export "uptime:notifier/notifier@0.9.0")))
