/**
 * Lists that are one stop of the Tab key, and in which arrows move.
 */
import type * as React from 'react';

const STEPS: Readonly<Record<string, number>> = {
  ArrowDown: 1,
  ArrowRight: 1,
  ArrowUp: -1,
  ArrowLeft: -1
};

/**
 * Move the focus among the elements of a selector, for `onKeyDown` of their container.
 *
 * @param columns - Of a grid, where up and down skip a row.
 * @returns The element that has the focus now; `null` if the key means nothing here.
 */
export function rove(
  event: React.KeyboardEvent<HTMLElement>,
  selector: string,
  columns = 1
): HTMLElement | null {
  const { target } = event;
  const step = STEPS[event.key];
  const isEnd = event.key === 'Home' || event.key === 'End';
  if (!(target instanceof HTMLElement) || (step === undefined && !isEnd)) {
    return null;
  }
  const items = [...event.currentTarget.querySelectorAll(selector)].filter(
    (item): item is HTMLElement =>
      item instanceof HTMLElement && item.offsetParent !== null
  );
  const from = items.findIndex(item => item.contains(target));
  if (from < 0) {
    return null;
  }
  const isVertical = event.key === 'ArrowDown' || event.key === 'ArrowUp';
  const distance = (step ?? 0) * (isVertical ? columns : 1);
  const wanted =
    event.key === 'Home'
      ? 0
      : event.key === 'End'
        ? items.length - 1
        : from + distance;
  const item = items[wanted];
  event.preventDefault();
  event.stopPropagation();
  if (!item) {
    return null;
  }
  // The list is entered again where it was left.
  items.forEach(other => (other.tabIndex = other === item ? 0 : -1));
  item.focus();
  return item;
}
