import { LAYERS, openField, type PoolSizes } from '../layers/field.ts'
import type { Layer } from '../layers/layer.ts'
import type { Reading } from '../probe.ts'
import { median } from '../statistics.ts'

/** Reads bytes per transaction for each layer, stock and on the bridge. The value is a median. */
export async function bytesOfLayers(
  url: string,
  pools: PoolSizes,
  times: number,
  bytesOf: (layer: Layer) => Promise<number>,
): Promise<readonly Reading[]> {
  const field = openField(url, pools)
  const readings: Reading[] = []
  for (const layer of LAYERS.flatMap((name) => [field.stock[name], field.shared[name]])) {
    const bytes: number[] = []
    // The first run opens the connections and compiles.
    for (let time = 0; time <= times; time++) bytes.push(await bytesOf(layer))
    const kept = bytes.slice(1)
    readings.push({
      name: layer.name,
      value: Math.round(median(kept)),
      unit: 'bytes per transaction',
      uncertainty: Math.round((Math.max(...kept) - Math.min(...kept)) / 2),
    })
  }
  await field.close()
  return readings
}
