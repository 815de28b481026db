import { getHeapSpaceStatistics } from 'node:v8'

const FEWEST_SAMPLES = 10
// Objects that happen to live at the time of a sample, above all open connections, make about that difference.
const MOST_GROWTH = 2 ** 20

/** In bytes. */
interface Growth {
  readonly perTransaction: number
  /** The standard error of the slope. */
  readonly uncertainty: number
  /** The growth from the first to the last sample, along the straight line. */
  readonly total: number
}

/** Follows the size of the heap over the number of transactions. */
export class Heap {
  readonly #samples: { transactions: number; bytes: number }[] = []

  /** Takes a sample. Call it while no request is running. */
  sample(transactions: number): void {
    if (!globalThis.gc) throw new Error('run with --expose-gc')
    // The second collection frees objects that finalizers have released.
    globalThis.gc()
    globalThis.gc()
    this.#samples.push({ transactions, bytes: objects() })
  }

  /** Fits a straight line to the samples. Returns `undefined` if there are too few. */
  get growth(): Growth | undefined {
    const n = this.#samples.length
    if (n < FEWEST_SAMPLES) return undefined
    const x = mean(this.#samples.map(({ transactions }) => transactions))
    const y = mean(this.#samples.map(({ bytes }) => bytes))
    let covariance = 0
    let variance = 0
    for (const { transactions, bytes } of this.#samples) {
      covariance += (transactions - x) * (bytes - y)
      variance += (transactions - x) ** 2
    }
    const perTransaction = covariance / variance
    let residual = 0
    for (const { transactions, bytes } of this.#samples) {
      residual += (bytes - y - perTransaction * (transactions - x)) ** 2
    }
    const span = (this.#samples.at(-1)?.transactions ?? 0) - (this.#samples[0]?.transactions ?? 0)
    return {
      perTransaction,
      uncertainty: Math.sqrt(residual / (n - 2) / variance),
      total: perTransaction * span,
    }
  }

  /** Whether the heap grows significantly. */
  get grows(): boolean {
    if (this.growth === undefined) return false
    const { perTransaction, uncertainty, total } = this.growth
    return perTransaction > 3 * uncertainty && total > MOST_GROWTH
  }

  get size(): number {
    return this.#samples.at(-1)?.bytes ?? 0
  }
}

/** The size of objects. Code is not counted, since it grows as long as V8 compiles. */
function objects(): number {
  const spaces = getHeapSpaceStatistics().filter(
    ({ space_name: name }) => !/code|trusted|read_only/.test(name),
  )
  return spaces.reduce((sum, { space_used_size: size }) => sum + size, 0)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
