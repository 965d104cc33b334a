;; Asks for all of a top-level domain.
;; expect: bad component: the plugin `hostile` can't be loaded: it asks for `https://*.com`, which is all of a top-level domain
;; call: describe

(data (i32.const 96) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\0d\00\00\00")
(data (i32.const 400) "https://*.com")
