/** Values that follow from others which never change. */

/**
 * Remembers what was computed from a value, under a name. It belongs to the genesis and not to a module, and it forgets with the
 * value: a changed copy of a genesis, or another list of validators, is another value and starts anew.
 */
export class Derived {
  readonly #known = new WeakMap<object, Map<string, unknown>>()

  /** `compute` must depend on `from` and the name alone, the result must not be changed, and names must be few. */
  of<T>(from: object, name: string, compute: () => T): T {
    let known = this.#known.get(from)
    if (known === undefined) {
      known = new Map()
      this.#known.set(from, known)
    }
    if (!known.has(name)) known.set(name, compute())
    return known.get(name) as T
  }
}
