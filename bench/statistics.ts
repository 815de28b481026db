/** A median with its confidence interval of 95 %. */
export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function median(values: readonly number[]): number {
  return quantile(sorted(values), 0.5)
}

/**
 * Computes the median and its interval from order statistics, which needs no assumption about the
 * distribution: the number of n values below the median is binomial with p = 1/2.
 */
export function estimate(values: readonly number[]): Estimate {
  const ordered = sorted(values)
  const n = ordered.length
  const below = Math.max(0, Math.floor((n - 1.96 * Math.sqrt(n)) / 2))
  return {
    median: quantile(ordered, 0.5),
    low: ordered[below] ?? Number.NaN,
    high: ordered[n - 1 - below] ?? Number.NaN,
  }
}

/** Computes the ratios of values from the same rounds. */
export function ratios(of: readonly number[], to: readonly number[]): number[] {
  return of.map((value, round) => value / (to[round] ?? Number.NaN))
}

/** Fits a straight line. Returns its slope with the standard error. */
export function slope(points: readonly (readonly [x: number, y: number])[]): {
  readonly slope: number
  readonly error: number
} {
  const x = mean(points.map(([value]) => value))
  const y = mean(points.map(([, value]) => value))
  let covariance = 0
  let variance = 0
  for (const point of points) {
    covariance += (point[0] - x) * (point[1] - y)
    variance += (point[0] - x) ** 2
  }
  const best = covariance / variance
  let residual = 0
  for (const point of points) residual += (point[1] - y - best * (point[0] - x)) ** 2
  return { slope: best, error: Math.sqrt(residual / (points.length - 2) / variance) }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function sorted(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b)
}

function quantile(ordered: readonly number[], q: number): number {
  const at = (ordered.length - 1) * q
  const low = ordered[Math.floor(at)] ?? Number.NaN
  const high = ordered[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}
