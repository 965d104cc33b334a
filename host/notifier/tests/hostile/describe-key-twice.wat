;; Has the same setting twice, once as a secret.
;; expect: bad component: the plugin `hostile` can't be loaded: it has the setting `key` twice
;; call: describe

(data (i32.const 88) "\00\02\00\00\02\00\00\00")
(data (i32.const 400) "key")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
(data (i32.const 560) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00")
