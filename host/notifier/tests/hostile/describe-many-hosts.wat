;; Asks for 10,000 hosts.
;; expect: bad component: the plugin `hostile` can't be loaded: it asks for 10000 hosts, and 16 are the most
;; call: describe

(memory (export "memory") 64)
(data (i32.const 96) "\00\02\00\00\10\27\00\00")
