;; Says a name that is no UTF-8.
;; expect: trap: the plugin `hostile` crashed: invalid utf-8 sequence of 1 bytes from index 0
;; call: describe

(data (i32.const 16) "\c3\28")
