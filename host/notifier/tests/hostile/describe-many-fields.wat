;; Has 10,000 settings.
;; expect: bad component: the plugin `hostile` can't be loaded: it has 10000 settings, and 64 are the most
;; call: describe

(memory (export "memory") 64)
(data (i32.const 88) "\00\02\00\00\10\27\00\00")
