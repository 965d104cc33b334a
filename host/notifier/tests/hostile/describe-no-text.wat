;; Says a name that is no UTF-8.
;; expect: bad return: the plugin `hostile` handed over what can't be read: invalid utf-8 sequence of 1 bytes from index 0
;; call: describe

(data (i32.const 16) "\c3\28")
