;; Asks for every host that there is.
;; expect: bad component: the plugin `hostile` can't be loaded: it asks for a host: `*` is no grant: it names no scheme; write `https://host` or `http://host:port`
;; call: describe

(data (i32.const 96) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\01\00\00\00")
(data (i32.const 400) "*")
