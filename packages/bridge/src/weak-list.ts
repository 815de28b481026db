/** Objects that are listed for as long as somebody else keeps them. */
export class WeakList<T extends object> {
  readonly #references = new Set<WeakRef<T>>()
  readonly #collected = new FinalizationRegistry<WeakRef<T>>((reference) =>
    this.#references.delete(reference),
  )

  add(object: T): void {
    const reference = new WeakRef(object)
    this.#references.add(reference)
    this.#collected.register(object, reference)
  }

  /** Those that are still there, in the order of their adding. */
  get all(): readonly T[] {
    return [...this.#references].flatMap((reference) => reference.deref() ?? [])
  }
}
