;; Asks for it in a writing that hides it.
;; expect: bad component: the plugin `hostile` can't be loaded: it asks for `https://[::ffff:a9fe:a9fe]`, a metadata address, which is never open to a plugin
;; call: describe

(data (i32.const 96) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\1a\00\00\00")
(data (i32.const 400) "https://[::ffff:a9fe:a9fe]")
