;; Asks for files.
;; expect: bad component: the plugin `hostile` can't be loaded: it asks for a host: `file:///` is no grant: only http and https can be granted; write `https://host` or `http://host:port`
;; call: describe

(data (i32.const 96) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\08\00\00\00")
(data (i32.const 400) "file:///")
