;; Has a secret, and does not say where it goes.
;; expect: bad component: the plugin `hostile` can't be loaded: it does not say where in a request its secret `key` goes
;; call: describe

(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 400) "key")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
