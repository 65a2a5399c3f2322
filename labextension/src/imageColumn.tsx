/**
 * The first column of the launch form: which image.
 */
import * as React from 'react';

import { imageName } from './format';
import { type IImageChoice, PROJECT } from './images';
import { Tags } from './imageTags';
import type { LaunchModel } from './launchModel';
import { Button, Icon, Mark, State } from './parts';
import { rove } from './roving';
import { paragraph } from './sentences';
import { useServices, useSignal } from './services';

export function ImageColumn(props: {
  readonly model: LaunchModel;
}): JSX.Element {
  const { model } = props;
  const { engines, trans } = useServices();
  const elsewhere = useSignal(engines.changed, () => engines.elsewhere);
  // In a narrow form, only the chosen image is shown; until there is one, all are.
  const [isExpanded, setExpanded] = React.useState(model.choice.image === '');
  const { project, recent, recommended, here, typed } = model.images;
  const group = (
    title: string,
    choices: readonly IImageChoice[]
  ): JSX.Element | null =>
    choices.length === 0 ? null : (
      <>
        <h3 className="jp-DLEnv-group">{title}</h3>
        <ul>
          {choices.map(choice => (
            <Image
              key={choice.key}
              choice={choice}
              model={model}
              isStop={choice.key === stop}
              onPick={() => setExpanded(false)}
            />
          ))}
        </ul>
      </>
    );
  const choices = [...project, ...recent, ...recommended, ...here];
  const chosen = choices.find(choice => isChosen(choice, model));
  const stop = (chosen ?? choices[0])?.key;
  const isEmpty = choices.length === 0 && !typed;
  const pickTyped = (): void => {
    model.pick(typed);
    model.search('');
    setExpanded(false);
  };
  return (
    <section
      className={`jp-DLEnv-col${isExpanded ? ' jp-mod-expanded' : ''}`}
      aria-labelledby="jp-DLEnv-h-image"
    >
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-image">
        {trans.__('Image')}
      </h2>
      <label className="jp-DLEnv-search">
        <Icon name="search" />
        <span className="jp-DLEnv-vh">{trans.__('Search images')}</span>
        <input
          className="jp-DLEnv-input"
          type="search"
          data-first-focus=""
          placeholder={trans.__('Search, or paste a reference')}
          value={model.query}
          onChange={event => {
            setExpanded(true);
            model.search(event.target.value);
          }}
          onKeyDown={event => {
            if (event.key === 'Enter' && typed) {
              event.preventDefault();
              pickTyped();
            }
          }}
        />
      </label>
      <div
        className="jp-DLEnv-images"
        onKeyDown={event => rove(event, '.jp-DLEnv-imagehead')}
      >
        {typed && (
          <ul>
            <Typed reference={typed} onPick={pickTyped} />
          </ul>
        )}
        {!model.query && !chosen && <Chosen model={model} />}
        {group(trans.__('This folder (dlenv.toml)'), project)}
        {model.sources.projectFailure && (
          <p className="jp-DLEnv-error">
            <Icon name="error" size={14} />
            <span>
              {paragraph(
                model.sources.projectFailure.message,
                model.sources.projectFailure.hint
              )}
            </span>
          </p>
        )}
        {group(trans.__('Recent'), recent)}
        {group(trans.__('NVIDIA NGC'), recommended)}
        {group(
          elsewhere
            ? trans.__('On %1', elsewhere)
            : trans.__('On this machine'),
          here
        )}
        {model.sources.imagesFailure && (
          <p className="jp-DLEnv-error" role="alert">
            {model.sources.imagesFailure.message}
          </p>
        )}
        {isEmpty && !model.sources.imagesFailure && (
          <p className="jp-DLEnv-muted jp-DLEnv-none">
            {model.query
              ? trans.__('No image has this name.')
              : trans.__('Paste the reference of an image above.')}
          </p>
        )}
      </div>
      <div className="jp-DLEnv-others">
        <Button
          icon={isExpanded ? 'up' : 'down'}
          kind="small"
          label={trans.__('Other images')}
          expanded={isExpanded}
          onClick={() => setExpanded(!isExpanded)}
        />
      </div>
    </section>
  );
}

/**
 * The chosen image, if it is in no group: somebody pasted its reference.
 */
function Chosen(props: { readonly model: LaunchModel }): JSX.Element | null {
  const { model } = props;
  const { image } = model.choice;
  if (!image) {
    return null;
  }
  const { mark, title, version } = imageName(image);
  return (
    <ul>
      <li className="jp-DLEnv-image jp-mod-selected">
        <div className="jp-DLEnv-imagehead" aria-current="true">
          <Mark mark={mark} />
          <span className="jp-DLEnv-clip">
            <b>{[title, version].filter(Boolean).join(' ')}</b>
            <small className="jp-DLEnv-clip">{image}</small>
          </span>
        </div>
      </li>
    </ul>
  );
}

function Typed(props: {
  readonly reference: string;
  readonly onPick: () => void;
}): JSX.Element {
  const { trans } = useServices();
  return (
    <li className="jp-DLEnv-image">
      <button
        type="button"
        className="jp-DLEnv-imagehead"
        onClick={props.onPick}
      >
        <Mark mark={imageName(props.reference).mark} />
        <span className="jp-DLEnv-clip">
          <b className="jp-DLEnv-clip">{props.reference}</b>
          <small>{trans.__('Use this reference')}</small>
        </span>
      </button>
    </li>
  );
}

function Image(props: {
  readonly choice: IImageChoice;
  readonly model: LaunchModel;
  readonly isStop: boolean;
  readonly onPick: () => void;
}): JSX.Element {
  const { choice, model } = props;
  const { trans } = useServices();
  const hasTags = choice.repository !== '';
  const isOpen = isChosen(choice, model);
  const open = (): void => {
    props.onPick();
    const newest = choice.tags[0];
    if (newest && !isOpen) {
      model.pick(newest.reference, hasTags ? '' : choice.key);
    }
    if (hasTags) {
      void model.sources.loadTags(choice.repository).then(() => {
        const first = model.images.recommended.find(c => c.key === choice.key)
          ?.tags[0];
        if (first && !newest && !model.isDisposed) {
          model.pick(first.reference);
        }
      });
      if (!newest) {
        // Until the registry has told its tags.
        model.pick(choice.repository);
      }
    }
  };
  return (
    <li className={`jp-DLEnv-image${isOpen ? ' jp-mod-selected' : ''}`}>
      <button
        type="button"
        className="jp-DLEnv-imagehead"
        tabIndex={props.isStop ? 0 : -1}
        aria-expanded={hasTags ? isOpen : undefined}
        aria-current={isOpen ? 'true' : undefined}
        onClick={open}
      >
        <Mark mark={choice.mark} />
        <span className="jp-DLEnv-clip">
          <b className="jp-DLEnv-clip">{choice.title}</b>
          <small className="jp-DLEnv-clip" title={choice.purpose}>
            {choice.key === PROJECT && model.sources.project?.isPinned
              ? trans.__('%1, pinned', choice.purpose)
              : choice.purpose}
          </small>
        </span>
        {!(isOpen && hasTags) && choice.tags.some(tag => tag.ready) && (
          <State icon="check" tone="ok">
            {trans.__('Ready')}
          </State>
        )}
      </button>
      {isOpen && hasTags && <Tags choice={choice} model={model} />}
      {isOpen && model.sheet?.notes && (
        <p className="jp-DLEnv-inside" title={model.sheet.notes}>
          {model.sheet.notes}
        </p>
      )}
    </li>
  );
}

function isChosen(choice: IImageChoice, model: LaunchModel): boolean {
  const { image, project } = model.choice;
  if (project) {
    return choice.key === PROJECT;
  }
  return model.picked
    ? choice.key === model.picked
    : choice.repository
      ? repositoryOf(image) === choice.repository
      : image === choice.key;
}

function repositoryOf(image: string): string {
  return image.replace(/(?::[^/:]*)?(?:@.*)?$/, '');
}
