"""The paths of the engine's API, written once for server and client. All but HELLO need the bearer token.

Bodies and answers are the records of `records.py` as JSON; a failure is `{"failure": Failure}` with the
status of `failures.HTTP_STATUS`. The newest run comes first, and of versions the one in use: what was saved
or chosen last.
"""

HELLO = "/hello"  # GET ?nonce=hex -> Hello (no token: this is how a client knows whom it talks to)
SHUTDOWN = "/shutdown"  # POST -> 202: running attempts certify a checkpoint, then the engine exits
MACHINE = "/machine"  # GET -> Machine
SETTINGS = "/settings"  # GET -> Settings, PUT Settings -> Settings
MODELS = "/models"  # GET -> list[BaseModelInfo], POST NewModel -> ModelAddition (the check goes on beside)
MODEL = "/models/{base_model}"  # DELETE -> 204: forgotten; the person's files stay, an upload goes
MODEL_ADDITIONS = "/model-additions"  # GET -> list[ModelAddition], the newest first
FOUND_MODELS = "/found-models"  # GET -> list[FoundModel] of other programs, without those in the catalogue
FOLDERS = "/folders"  # GET ?path= -> FolderListing; the home folder and what lies below it
BUNDLED_STATE = (
    "/models/bundled"  # GET -> BundledModelState, POST -> the same, after a new try of all that failed
)
PROJECTS = "/projects"  # GET -> list[Project], POST NewProject -> Project
PROJECT = "/projects/{project_id}"  # GET -> Project, PATCH NewProject -> Project, DELETE -> 204
PROJECT_BRAND = "/projects/{project_id}/brand"  # GET -> Brand, PUT Brand -> Brand
PROJECT_DATASETS = "/projects/{project_id}/datasets"  # GET -> list[Dataset], POST NewDataset -> Dataset
PROJECT_RUNS = "/projects/{project_id}/runs"  # GET -> list[Run] newest first
DATASET = "/datasets/{dataset_id}"  # GET -> Dataset
DATASET_IN_USE = "/datasets/{dataset_id}/in-use"  # PUT -> Dataset: its project goes on with this version
DATASET_EXAMPLES = "/datasets/{dataset_id}/examples"  # GET -> list[Example] in the file's order
TOKEN_COUNTS = "/models/{base_model}/token-counts"  # noqa: S105  POST list[Example] -> TokenCounts
READING = "/models/{base_model}/reading"  # POST ReadingRequest -> Reading
ESTIMATES = "/estimates"  # POST EstimateRequest -> list[Estimate], one per recipe
RUNS = "/runs"  # POST NewRun -> Run (same key: the same run)
RUN = "/runs/{run_id}"  # GET -> Run
RUN_DESIRED = "/runs/{run_id}/desired"  # PUT {"desired": Desired} -> Run; idempotent
RUN_METRICS = "/runs/{run_id}/metrics"  # GET -> Metrics
RUN_EVENTS = "/runs/{run_id}/events"  # GET -> list[Event]
ANSWERS = "/answers"  # POST AnswerRequest -> server-sent AnswerEvents, pings as comments
MANY_ANSWERS = "/answers/many"  # POST ManyAnswersRequest -> the same, each event with its `question`
RUN_EXPORT = "/runs/{run_id}/export"  # GET -> Export, POST [ExportChoice] -> Export (has it made)
RUN_DOWNLOAD = "/runs/{run_id}/download"  # GET -> application/zip, streamed; 409 until the export is ready
